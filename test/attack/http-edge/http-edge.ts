import * as fc from 'fast-check'
import { readGetRequest, readGetFields } from '../../../lib/fast-http/request-head.ts'
import { readByServer } from '../../support/node-reading.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { generatedHead } from './generated-head.ts'
import { readStrictly } from './strict-request.ts'

/** Between two looks at the clock. */
const runsAtOnce = 1_000

/** Generated heads before the plain reader, Node's parser and a strict reading of RFC 9112: whoever reads a request reads the same one. */
export const httpEdge: AttackClass = {
  name: 'http-edge',
  what: 'generated heads: the plain reader against Node and against RFC 9112',
  needsRoot: false,
  forwarding: ['agent'],
  async run(context) {
    for (let round = 0; !context.isOver(); round += 1) {
      await compareSome(context, context.seed + round)
    }
  },
}

async function compareSome(context: AttackContext, seed: number): Promise<void> {
  const { report } = context
  const property = fc.asyncProperty(generatedHead, async (text) => {
    report.tried()
    const difference = await differenceOn(text, () => report.count('read as plain'))
    if (difference !== undefined) throw new Error(difference)
  })
  const details = await fc.check(property, { seed, numRuns: runsAtOnce })
  if (!details.failed) return
  const [text] = details.counterexample ?? []
  const why = details.errorInstance instanceof Error ? details.errorInstance.message : 'failed'
  report.fault(
    'wrong',
    `${why} on ${JSON.stringify(text)} (seed ${seed}, path ${details.counterexamplePath ?? ''})`,
  )
}

const mark = 'GET /mark HTTP/1.1\r\nHost: m\r\n\r\n'

/** @returns how the readers differ, `undefined` when whoever takes the head takes it as the same request */
async function differenceOn(text: string, onPlain: () => void): Promise<string | undefined> {
  const request = readGetRequest(text)
  const fields = request && readGetFields(request.block)
  if (request === undefined || fields === undefined) return undefined
  onPlain()
  const strict = readStrictly(text)
  if (strict.kind !== 'request')
    return `plain, but RFC 9112 says ${strict.kind === 'invalid' ? `invalid ${strict.why}` : strict.kind}`
  if (strict.length !== text.length) return 'plain, but RFC 9112 ends the head elsewhere'
  if (strict.body !== 0) return 'plain, but RFC 9112 says that a body follows'
  const plain = JSON.stringify(['GET', request.target, fields.fields, fields.isLast])
  const target = originForm(strict.target)
  if (plain !== JSON.stringify([strict.method, target, strict.fields, strict.isLast])) {
    return 'plain, but another request by RFC 9112'
  }
  // Both of these may be taken or refused, and Node's parser refuses the one and leaves the other as it is.
  if (strict.hasBareLf || target !== strict.target) return undefined
  const [first, second] = await readByServer(text + mark)
  if (first === undefined || typeof first === 'string')
    return `plain, but Node says ${first ?? 'nothing'}`
  if (plain !== JSON.stringify([first.method, first.url, first.rawHeaders, first.isLast])) {
    return 'plain, but another request to Node'
  }
  const isMark = typeof second === 'object' && second.url === '/mark'
  return fields.isLast || isMark ? undefined : 'plain, but Node ends the request elsewhere'
}

/** §3.2.2: what a target in absolute form asks of the metadata address. @returns any other target unchanged */
function originForm(target: string): string {
  const match = /^http:\/\/(?:169\.254\.169\.254|\[fe80::a9fe:a9fe\])(?::80)?(\/.*)?$/i.exec(target)
  return match === null ? target : (match[1] ?? '/')
}
