// What `npm test` plays few of, in full: see test/effort.ts.
import '../sim/asks.test.ts'
import '../sim/lineage.test.ts'
import '../sim/masked.test.ts'
import '../sim/owner.test.ts'
import '../sim/selection.test.ts'
import '../sim/sim.test.ts'
