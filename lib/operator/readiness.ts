/** What a daemon says on `/ready`. */
export interface DaemonReadiness {
  readonly ready: boolean
  readonly parts: readonly {
    readonly name: string
    readonly ready: boolean
    readonly detail: string
  }[]
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}

function textField(value: unknown, name: string): string {
  const text = field(value, name)
  return typeof text === 'string' ? text : ''
}

/** Reads the body of `/ready`. By hand, since the opener loads this and stays small. @returns `undefined` when it is something else */
export function readReport(value: unknown): DaemonReadiness | undefined {
  const ready = field(value, 'ready')
  const parts = field(value, 'parts')
  if (typeof ready !== 'boolean' || !Array.isArray(parts)) return undefined
  return {
    ready,
    parts: (parts as readonly unknown[]).map((part) => ({
      name: textField(part, 'name'),
      ready: field(part, 'ready') === true,
      detail: textField(part, 'detail'),
    })),
  }
}
