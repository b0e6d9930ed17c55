/** Drawn here, so that nothing is fetched. Words beside them say what they mean. */
const PATHS = {
  mark: 'M12 12 5 7m7 5 7-5m-7 5v8M12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5M5 5a2 2 0 1 0 0 4 2 2 0 0 0 0-4m14 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4m-7 13a2 2 0 1 0 0 4 2 2 0 0 0 0-4',
  overview: 'M4 13h6V4H4zm10 7h6V4h-6zM4 20h6v-3H4z',
  nodes: 'M4 5h16v5H4zm0 9h16v5H4zm3-6.5h.01M7 16.5h.01M11 7.5h6m-6 9h6',
  money:
    'M12 4c4.4 0 8 1.3 8 3s-3.600 3-8 3-8-1.300-8-3 3.600-3 8-3m8 3v5c0 1.700-3.600 3-8 3s-8-1.300-8-3V7m16 5v5c0 1.700-3.600 3-8 3s-8-1.300-8-3v-5',
  verify: 'M12 3 5 6v5c0 4.500 3 8.300 7 10 4-1.700 7-5.500 7-10V6zm-3 9 2.200 2.200L15.500 10',
  settings: 'M4 7h10m4 0h2M4 17h4m4 0h8M16 5v4m-6 6v4',
} as const

export function Icon({ name }: { readonly name: keyof typeof PATHS }) {
  return (
    <svg class="icon" aria-hidden="true" viewBox="0 0 24 24" width="20" height="20">
      <path d={PATHS[name]} />
    </svg>
  )
}
