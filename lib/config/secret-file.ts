import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { causeText } from '../runtime/errors.ts'
import { Secret } from '../runtime/secret.ts'
import {
  invalid,
  shownInput,
  type Entry,
  type Given,
  type Invalid,
  type ReadContext,
} from './entry.ts'

/** No password is longer; whoever names a log file by mistake should get an error. */
const longestSecret = 64 * 1024

function readSecret(file: string, given: Given, context: ReadContext): Secret | Invalid {
  try {
    const status = statSync(file)
    if (!status.isFile() || status.size > longestSecret) {
      context.problem(`"${file}" is not a file of at most ${longestSecret} bytes`, given)
      return invalid
    }
    if ((status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0')
      context.warn(`"${file}" can be opened by others than its owner (mode ${mode})`, given)
    }
    const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    if (content !== '') return new Secret(content)
    context.problem(`"${file}" is empty`, given)
  } catch (cause) {
    context.problem(`cannot read the secret: ${causeText(cause)}`, given)
  }
  return invalid
}

/** Describes what is wrong with the text of a secret without repeating any of it. */
type SecretCheck = (text: string) => string | undefined

function checked(
  secret: Secret | undefined | Invalid,
  given: Given,
  context: ReadContext,
  problemOf: SecretCheck,
): Secret | undefined | Invalid {
  if (secret === undefined || secret === invalid) return secret
  const problem = problemOf(secret.reveal())
  if (problem === undefined) return secret
  context.problem(problem, given)
  return invalid
}

function readOne(given: Given, context: ReadContext): Secret | undefined | Invalid {
  // Whoever read it elsewhere has already taken care of it; no text of a file becomes one.
  if (given.value instanceof Secret) return given.value
  const name = String(given.keys.at(-1))
  const fileName = `${String(context.keys.at(-1))}_file`
  const origin = given.source.originOf(given.keys)
  if (name === fileName) {
    if (given.value === null) return undefined
    if (typeof given.value !== 'string' || given.value === '') {
      context.problem(`${shownInput(given.value)} is not a path`, given)
      return invalid
    }
    const file = isAbsolute(given.value)
      ? given.value
      : resolve(given.source.directory, given.value)
    return readSecret(file, given, context)
  }
  if (origin.kind === 'environment' && given.fromText) {
    return given.value === '' ? undefined : new Secret(String(given.value))
  }
  // Command lines are visible to every user of the host, and configuration files are copied around.
  context.problem(`a secret is not written here; name its file in ${fileName}`, given)
  return invalid
}

/**
 * An option whose value is kept out of the configuration: for the key `password` the file and the flags take
 * `password_file`, and the environment takes `…_PASSWORD_FILE` or the secret itself in `…_PASSWORD`.
 * One line end at the end of the file is not part of the secret.
 */
export function secretFile(details: {
  readonly help: string
  readonly required?: boolean
  /** For a secret that must have a form. @returns what is wrong, without any of the secret */
  readonly problemOf?: SecretCheck
}): Entry<Secret | undefined> {
  const entry: Entry<Secret | undefined> = {
    type: 'secret file',
    expected: 'a file that holds the secret',
    help: details.help,
    secret: true,
    required: details.required ?? false,
    names: (key) => [key, `${key}_file`],
    read(given, context) {
      let outcome: Secret | undefined | Invalid = undefined
      for (const one of given) {
        outcome = checked(
          readOne(one, context),
          one,
          context,
          details.problemOf ?? (() => undefined),
        )
      }
      const last = given.at(-1)
      if (outcome !== invalid) {
        context.settle(entry, outcome, last?.source.originOf(last.keys) ?? { kind: 'default' })
      }
      return outcome
    },
    show: (value) => (value === undefined ? '(not set)' : '[redacted]'),
  }
  return entry
}
