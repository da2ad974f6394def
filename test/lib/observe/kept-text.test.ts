import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { readGetRequest } from '../../../lib/fast-http/request-head.ts'
import { keptText } from '../../../lib/observe/kept-text.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const requests = 1_000
const headBytes = 14 * 1024
const padding = 'x'.repeat(1_000)

function targetOf(number: number): string {
  const fields = Array.from({ length: headBytes / 1_024 }, (_, at) => `X-${at}: ${padding}\r\n`)
  const head = Buffer.from(`GET /openstack/${number} HTTP/1.1\r\nHost: h\r\n${fields.join('')}\r\n`)
  return readGetRequest(head.toString('latin1'))?.target ?? ''
}

t.test('keptText keeps nothing of the head that a target was a part of', async (t) => {
  collect()
  const before = process.memoryUsage().heapUsed
  const kept = Array.from({ length: requests }, (_, number) => keptText(targetOf(number), 200))
  collect()
  const bytes = process.memoryUsage().heapUsed - before
  t.ok(bytes < (requests * headBytes) / 10, `${bytes} bytes`)
  t.equal(kept[7], '/openstack/7')
})

t.test('keptText cuts what is longer, and leaves each byte as it is', async (t) => {
  t.equal(keptText('/abc', 3), '/ab')
  t.equal(keptText('/\u00e9\u0080', 200), '/\u00e9\u0080')
})
