// What `npm test` plays few of, in full: see test/effort.ts. A quorum's faults are in quorum.campaign.ts.
import '../storage/file-blobs.test.ts'
import '../storage/kubo-blobs.test.ts'
import '../storage/libp2p.test.ts'
import '../storage/memory-blobs.test.ts'
import '../storage/quorum.test.ts'
import '../storage/remote-blobs.test.ts'
