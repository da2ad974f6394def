import { FakeNeutron } from '../support/fake-neutron.ts'
import type { PortRow } from '../support/fake-ports.ts'
import { readFileSync } from 'node:fs'
import { reportOnDemand } from './bench-process.ts'

/** What the program prints. */
export interface CountingReport {
  readonly url: string
  /** Requests to Neutron so far. */
  readonly questions: number
}

const { file } = JSON.parse(process.argv[2] ?? '{}') as { readonly file: string }
const neutron = new FakeNeutron()
neutron.ports.rows = JSON.parse(readFileSync(file, 'utf8')) as PortRow[]
await neutron.listen()
reportOnDemand((): CountingReport => ({ url: neutron.url, questions: neutron.questions.length }))
