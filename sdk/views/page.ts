/** One page of a list. This folder is what the API answers, as TypeScript: a test holds it equal to the validators. */
export type PageView<T> = { data: T[]; has_more: boolean; next: string | null }
