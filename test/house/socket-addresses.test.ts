import t from 'tap'
import { sourceFiles } from '../support/source-files.ts'

/** The one file that asks Node, of sockets of its own namespace, and is ready for what Node throws. */
const gatekeeper = 'lib/sockets/peer-address.ts'

/** Node's accessors of a socket's addresses. They turn a zone into the name of an interface of *this* namespace, or throw. */
const names = '(?:remote|local)(?:Address|Port|Family)'
const accessor = new RegExp(
  `\\.${names}\\b|\\{[^}]*\\b${names}\\b[^}]*\\}\\s*(?:=|:\\s*\\w*Socket\\b)`,
)
const comment = /^\s*(?:\/\/|\/?\*)/

t.test('the kernel, and never Node, is queried for addresses of sockets', async (t) => {
  const found = sourceFiles()
    .filter(({ path }) => /^(?:proxy|agent-side|lib)\//.test(path) && path !== gatekeeper)
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .map((line, index) => ({ line, where: `${path}:${index + 1}` }))
        .filter(({ line }) => accessor.test(line) && !comment.test(line)),
    )
  t.strictSame(found, [], 'see proxy/netns/socket-ends.ts')
})

t.test('the pattern knows the ways in which Node is queried', async (t) => {
  for (const line of [
    'const from = socket.remoteAddress',
    'const { remotePort } = socket',
    'note({ localAddress, remoteAddress }: Socket): void {',
  ]) {
    t.match(line, accessor)
  }
})
