import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { blobStoreConformance } from '#test/conformance/blobs.ts'

blobStoreConformance('memory', () => openMemoryBlobs())
