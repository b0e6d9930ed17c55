/** One update's pay. */
export type ReceiptView = {
  node: string
  operator: string | null
  /** Micro-credits, as decimal text. */
  amount: string
  run: string
  round: number
  /** CID of the coordinator's signed word. */
  receipt: string
}

/** What one node has earned. @property earned micro-credits, as decimal text */
export type BalanceView = { node: string; operator: string | null; earned: string; updates: number }
