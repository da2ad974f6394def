import type { GivenDocument } from '../../lib/config/load.ts'
import type { Keys } from '../../lib/config/entry.ts'
import type { NativeSetting } from './translation.ts'

type Tree = Map<string | number, unknown>

function place(tree: Tree, path: NativeSetting['path'], value: unknown): void {
  const [key, ...rest] = path
  if (key === undefined) return
  if (rest.length === 0) {
    tree.set(key, value)
    return
  }
  const below = tree.get(key)
  const inner: Tree = below instanceof Map ? below : new Map()
  tree.set(key, inner)
  place(inner, rest, value)
}

function plain(value: unknown): unknown {
  if (!(value instanceof Map)) return value
  const entries = [...(value as Tree)]
  return entries.every(([key]) => typeof key === 'number')
    ? entries.map(([, inner]) => plain(inner))
    : Object.fromEntries(entries.map(([key, inner]) => [key, plain(inner)]))
}

function startsWith(keys: Keys, start: Keys): boolean {
  return start.every((key, index) => keys[index] === key)
}

/** The settings as one mapping. */
export function nativeMapping(settings: readonly NativeSetting[]): unknown {
  const tree: Tree = new Map()
  for (const { path, value } of settings) place(tree, path, value)
  return plain(tree)
}

/** The settings as a document that the configuration is loaded from; errors then name the file and line of Neutron's option. */
export function nativeDocument(
  settings: readonly NativeSetting[],
  workingDirectory: string,
): GivenDocument {
  return {
    value: nativeMapping(settings),
    directory: workingDirectory,
    originOf: (keys) =>
      settings.find(({ path }) => startsWith(keys, path))?.origin ??
      // A list is shown whole: it came from where its first part did.
      settings.find(({ path, origin }) => startsWith(path, keys) && origin.kind === 'file')
        ?.origin ?? { kind: 'default' },
  }
}
