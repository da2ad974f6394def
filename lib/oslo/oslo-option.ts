import { stripped } from './oslo-ini.ts'

/** What a definition of an option has in common, whatever its type. */
interface OptionNames {
  readonly group: string
  readonly name: string
  /** Older names, each in the same group unless it names another. */
  readonly deprecated?: readonly { readonly group?: string; readonly name?: string }[]
  /** As it would stand in a file; `$` substitutes in it too. */
  readonly default?: string
  /** Not to be shown. */
  readonly secret?: boolean
}

/** An option as OpenStack registers it. */
export type OsloOption = OptionNames &
  (
    | { readonly type: 'string'; readonly choices?: readonly string[] }
    | { readonly type: 'boolean' }
    | { readonly type: 'integer' | 'float'; readonly min?: number; readonly max?: number }
    | { readonly type: 'list' }
    /** May be given several times, and all count. */
    | { readonly type: 'multi' }
  )

/** The value of an option, by its type; an empty number is none. */
export type OsloValue = string | number | boolean | readonly string[] | undefined

const yes = ['true', '1', 'on', 'yes']
const no = ['false', '0', 'off', 'no']
const integer = /^[+-]?\d+(?:_\d+)*$/
const float = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i

function numberOf(text: string, option: OsloOption & { type: 'integer' | 'float' }): OsloValue {
  const digits = stripped(text)
  if (digits === '') return undefined
  const pattern = option.type === 'integer' ? integer : float
  if (!pattern.test(digits)) throw new RangeError(`"${digits}" is not a number`)
  const value = Number(digits.replaceAll('_', ''))
  const { min, max } = option
  if (min !== undefined && value < min) throw new RangeError(`${value} is less than ${min}`)
  if (max !== undefined && value > max) throw new RangeError(`${value} is more than ${max}`)
  return value
}

/** `a, b,c,` is three items; the last comma does not make a fourth. */
function itemsOf(text: string): readonly string[] {
  const without = stripped(text).replace(/,+$/, '')
  return without === '' ? [] : without.split(',').map(stripped)
}

/**
 * Reads the text of an option as oslo.config's types do.
 * @throws RangeError without the text of a secret
 * @see oslo_config/types.py
 */
export function osloValue(text: string, option: OsloOption): OsloValue {
  switch (option.type) {
    case 'boolean': {
      const word = text.toLowerCase()
      if (yes.includes(word)) return true
      if (no.includes(word)) return false
      throw new RangeError(`"${text}" is neither true nor false`)
    }
    case 'integer':
    case 'float':
      return numberOf(text, option)
    case 'list':
      return itemsOf(text)
    case 'string':
      if (option.choices !== undefined && !option.choices.includes(text)) {
        throw new RangeError(`"${text}" is not one of ${option.choices.join(', ')}`)
      }
      return text
    case 'multi':
      return [text]
    default: {
      const never: never = option
      return never
    }
  }
}
