/**
 * A site's own file cannot be read as data: for the site's people, so it names file and line. It stays on the site's
 * machine, and yet never repeats a value, since logs are copied about.
 */
export class DataFault extends Error {
  override name = 'DataFault'
}
