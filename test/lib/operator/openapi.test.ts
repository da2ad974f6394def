import t from 'tap'
import { openApi } from '../../../lib/operator/api/openapi.ts'
import { daemons } from '../../../lib/cli/admin-sockets.ts'

interface Description {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly responses: object; readonly summary: string }>>
    >
  >
}

function methods({ paths }: Description): readonly string[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method} ${path}`),
  )
}

t.test(
  'openApi() describes each endpoint of both daemons, which have most in common',
  async (t) => {
    const described = daemons.map((daemon) => openApi(daemon) as Description)
    for (const [index, one] of described.entries()) {
      t.match(one, { openapi: '3.1.0', info: { version: '1' } })
      t.strictSame(methods(one).toSorted(), [
        'get /',
        'get /audit',
        'get /events',
        'get /explain',
        'get /health',
        'get /history',
        'get /metrics',
        'get /ready',
        ...(daemons[index] === 'agent' ? ['get /shield'] : []),
        'get /status',
        'post /audit',
        ...(daemons[index] === 'agent' ? ['post /unseal'] : []),
      ])
      for (const operation of Object.values(one.paths).flatMap((item) => Object.values(item))) {
        t.ok(operation.summary.length > 10)
        t.ok('200' in operation.responses)
      }
    }
    const text = JSON.stringify(described)
    t.match(text, '"recentRefusals":{"type":"array"')
    t.notMatch(text, '"additionalProperties":false', 'readers must bear fields that come later')
  },
)
