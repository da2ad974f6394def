import { z } from 'zod'

/** The words in which data from outside is described. Only this file knows which package reads them. */
export { z }

type Frozen<Value> = Value extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : Value extends object
    ? { readonly [Key in keyof Value]: Frozen<Value[Key]> }
    : Value

/** What a form describes, as a type: read, never changed. */
export type FormOf<Form extends z.ZodType> = Frozen<z.output<Form>>

/** One thing that does not fit, and where: `['ports', 3, 'mac']`. */
export interface SchemaProblem {
  readonly keys: readonly (string | number)[]
  /** What was expected and what was found. */
  readonly message: string
}

function problemOf(issue: z.core.$ZodIssue): readonly SchemaProblem[] {
  const keys = issue.path.map((key) => (typeof key === 'number' ? key : String(key)))
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ keys: [...keys, key], message: 'unknown key' }))
  }
  return [{ keys, message: issue.message.replace(/^Invalid input: /, '') }]
}

/** Everything that is wrong with data that did not fit its schema. */
export function schemaProblems(error: z.ZodError): readonly SchemaProblem[] {
  return error.issues.flatMap(problemOf)
}
