import { readFileSync } from 'node:fs'
import {
  isMap,
  isNode,
  isPair,
  isSeq,
  LineCounter,
  parseDocument,
  stringify,
  type Node,
} from 'yaml'
import { causeText } from '../runtime/errors.ts'
import type { Bytes, Count } from '../runtime/clock.ts'

/** A YAML text that was read, and where its parts stand in it. */
export interface YamlDocument {
  readonly value: unknown
  /** The line, from 1, of the key or item at this place, or of the nearest thing around it. */
  lineOf(keys: readonly (string | number)[]): number | undefined
}

/** A YAML text that could not be read. The message has the line: `ports.yaml:12: Map keys must be unique`. */
export class YamlError extends Error {
  override readonly name = 'YamlError'
  readonly file: string
  readonly line: number | undefined

  constructor(file: string, line: number | undefined, message: string, cause?: unknown) {
    const where = line === undefined ? file : `${file}:${line}`
    super(`${where}: ${message}`, cause === undefined ? undefined : { cause })
    this.file = file
    this.line = line
  }
}

const largestText: Bytes = 16 * 1024 * 1024
/** How many nodes all aliases together may stand for. */
const mostAliased: Count = 100

function childOf(
  node: unknown,
  key: string | number,
): { place: unknown; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => {
      const name = isNode(item.key) ? item.key.toJSON() : item.key
      return String(name) === String(key)
    })
    return pair && { place: pair.key, value: pair.value }
  }
  if (isSeq(node) && typeof key === 'number') {
    const item = node.items[key]
    return { place: isPair(item) ? item.key : item, value: item }
  }
  return undefined
}

/**
 * Reads one YAML 1.2 document. Duplicate keys, unknown tags, several documents and aliases that multiply are refused.
 * @param file what to call the text in errors
 * @throws {YamlError}
 */
export function parseYaml(text: string, file: string, largest = largestText): YamlDocument {
  if (Buffer.byteLength(text) > largest) {
    throw new YamlError(file, undefined, `The text is longer than ${largest} bytes`)
  }
  const lines = new LineCounter()
  const document = parseDocument(text, {
    version: '1.2',
    schema: 'core',
    uniqueKeys: true,
    strict: true,
    prettyErrors: false,
    lineCounter: lines,
  })
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined) {
    throw new YamlError(file, lines.linePos(problem.pos[0]).line, problem.message)
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: mostAliased }) as unknown
  } catch (cause) {
    throw new YamlError(file, undefined, causeText(cause), cause)
  }
  return {
    value,
    lineOf(keys) {
      let node: unknown = document.contents
      let line: number | undefined
      for (const key of keys) {
        const child = childOf(node, key)
        if (child === undefined) break
        const range = isNode(child.place) ? (child.place as Node).range : undefined
        if (range) line = lines.linePos(range[0]).line
        node = child.value
      }
      return line
    },
  }
}

/** Writes YAML that every version reads in the same way: texts have quotes, and no line is folded. */
export function yamlText(value: unknown): string {
  return stringify(value, {
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
    lineWidth: 0,
  })
}

/** Reads one YAML file. @throws {YamlError} also when the file cannot be read */
export function readYamlFile(file: string): YamlDocument {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    // Node's text ends with the call and the path, which the message begins with.
    const why = causeText(cause).replace(/, \w+ '[^]*'$/, '')
    throw new YamlError(file, undefined, `Cannot read the file: ${why}`)
  }
  return parseYaml(text, file)
}
