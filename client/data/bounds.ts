import { PUBLIC_FILE_BYTES_MAX } from '#protocol/limits.ts'
import { DataFault } from './fault.ts'

/** A site's table or image file: the most that is read into memory. 65,536 rows of 28 × 28 images are 51 MB. */
export const FILE_BYTES_MAX = PUBLIC_FILE_BYTES_MAX

/** Before anything is allocated for it. */
export function checkFileSize(path: string, sizeBytes: number): void {
  if (sizeBytes > FILE_BYTES_MAX) throw new DataFault(`${path}: ${sizeBytes} bytes, at most ${FILE_BYTES_MAX}`)
}
