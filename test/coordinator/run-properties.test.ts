import { runProperties } from './run-properties.ts'

runProperties(15)
