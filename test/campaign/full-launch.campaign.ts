// What `npm test` plays few of, in full: see test/effort.ts.
import '../e2e/launch.e2e.test.ts'
