/** What whoever brings a task says of its model, and what might be made of it. */
export const CARD = {
  intendedUse: 'To try things *out*.\n\n<script>alert(1)</script> | https://example.org',
  limitations: 'It has learned nothing: ---\n# not a heading',
  license: 'apache-2.0',
  language: 'en',
}
