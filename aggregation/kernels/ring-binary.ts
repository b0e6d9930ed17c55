/** WebAssembly made from aggregation/kernels/assembly/ring.ts by tools/kernels.mjs, in base64. */
export const RING_BINARY =
  'AGFzbQEAAAABBgFgAn9/AAIPAQNlbnYGbWVtb3J5AgAAAwIBAAcMAQhhZGRUaWxlcwAACmQBYgEBfyAAQYCAEGohAkEAIQADQCAAIAFJBEAgAiAC' +
  '/QAEACAA/QAEACAA/QAEgIAE/a4BIAD9AASAgAggAP0ABICADP2uAf2uAf2uAf0LBAAgAEEQaiEAIAJBEGohAgwBCwsL'
