export const TIMING = {
  ...{
    selectionMillis: 1000,
    keysMillis: 1000,
    reportingMillis: 5000,
    stragglerMillis: null,
    consistencyMillis: 1000,
    unmaskingMillis: 1000,
  },
  ...{ aggregationMillis: 1000, settlementMillis: 1000 },
}
