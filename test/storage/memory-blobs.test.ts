import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'
import { partsStoreConformance } from '#test/conformance/parts.ts'

blobStoreConformance('memory', () => openMemoryBlobs())
partsStoreConformance('memory', () => openMemoryBlobs())
