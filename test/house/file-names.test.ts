import { basename, dirname } from 'node:path'
import t from 'tap'
import { productionFolders, projectPaths, sourceFiles } from '../support/source-files.ts'

const emptyNames = new Set(
  'base common constants helper helpers index manager misc service types util utils'.split(' '),
)

const all = projectPaths([...productionFolders, 'test'])
const paths = all.filter((path) => /\.[cm]?[jt]s$/.test(path))

t.test('no tool has left a copy behind', async (t) => {
  t.strictSame(
    all.filter((path) => /\.(?:orig|rej|bak|swp)$|~$/.test(path)),
    [],
  )
})

t.test('files and folders are named in kebab-case', async (t) => {
  const odd = paths.filter((path) =>
    path.split('/').some((part) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*$/.test(part)),
  )
  t.ok(paths.length > 50)
  t.strictSame(odd, [])
})

t.test('files and folders are named for what they hold', async (t) => {
  const nameless = paths.filter((path) =>
    [basename(path).replace(/\..*$/, ''), ...dirname(path).split('/')].some((name) =>
      emptyNames.has(name),
    ),
  )
  t.strictSame(nameless, [])
})

t.test('each file of lib/ has its test', async (t) => {
  /** Files that hold nothing to run, or that another test runs as a whole. */
  const covered: Readonly<Record<string, string>> = {
    'lib/observe/latency-buckets.ts': 'test/lib/observe/metrics.test.ts',
    'lib/linux/checksums.ts': 'test/netns/ovn-provision.test.ts',
    'lib/sockets/byte-socket.ts': 'test/proxy/worker/raw/raw-socket.test.ts',
    'lib/fast-http/answer-handler.ts': 'test/lib/fast-http/request-pool.test.ts',
    'lib/fast-http/chunked-body.ts': 'test/lib/fast-http/response-reader.test.ts',
    'lib/fast-http/pooled-connection.ts': 'test/lib/fast-http/request-pool.test.ts',
    'lib/http/node-refusals.ts': 'test/lib/http/serve.test.ts',
    'lib/http/unsized-answer.ts': 'test/incidents/answers-without-length.test.ts',
    'lib/fast-http/incoming-get.ts': 'test/lib/fast-http/get-server.test.ts',
    'lib/fast-http/request-reader.ts': 'test/lib/fast-http/get-server.test.ts',
    'lib/fast-http/get-response.ts': 'test/lib/fast-http/get-server.test.ts',
    'lib/fast-http/request-wire.ts': 'test/incidents/pipelined-requests-exhaust-worker.test.ts',
    'lib/config/defaults.ts': 'test/agent-side/config/config.test.ts',
    'lib/shield/network-tag.ts': 'test/agent-side/ports/neutron-rest/network-tags.test.ts',
    'lib/wire/metadata-address.ts': 'test/proxy/namespaces/plan-attachments.test.ts',
    'lib/config/entry.ts': 'test/lib/config/table-names.test.ts',
    'lib/cli/admin-sockets.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/cli/config-command.ts': 'test/lib/cli/command.test.ts',
    'deploy/overlapd/demo-command.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/operator/doctor-command.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/operator/explain-command.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/operator/guest-search.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/operator/request-event.ts': 'test/lib/http/event-feed.test.ts',
    'lib/operator/watched-requests.ts': 'test/lib/operator/watch-command.test.ts',
    'lib/operator/api/agent-api.ts': 'test/agent-side/admin/api.test.ts',
    'lib/operator/api/command-forms.ts': 'test/netns/admin-api.test.ts',
    'lib/operator/api/endpoint.ts': 'test/lib/operator/openapi.test.ts',
    'lib/operator/api/openapi.ts': 'test/lib/operator/openapi.test.ts',
    'lib/operator/api/proxy-api.ts': 'test/netns/admin-api.test.ts',
    'lib/operator/api/shared.ts': 'test/agent-side/admin/api.test.ts',
    'lib/http/admin-api-version.ts': 'test/agent-side/admin/api.test.ts',
    'lib/http/audit-routes.ts': 'test/agent-side/admin/admin-app.test.ts',
    'lib/http/event-reader.ts': 'test/lib/http/event-feed.test.ts',
    'lib/http/events-route.ts': 'test/lib/http/event-feed.test.ts',
    'lib/http/feed-metrics.ts': 'test/agent-side/admin/request-feed.test.ts',
    'lib/cli/json-output.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/linux/descriptor-messages.ts': 'test/lib/linux/libc.test.ts',
    'lib/runtime/reasons/guest-requests.ts': 'test/house/reason-codes.test.ts',
    'lib/runtime/reasons/lookups.ts': 'test/house/reason-codes.test.ts',
    'lib/runtime/reasons/proxy-requests.ts': 'test/house/reason-codes.test.ts',
    'lib/runtime/reasons/shields.ts': 'test/house/reason-codes.test.ts',
    'lib/runtime/reasons/upstreams.ts': 'test/house/reason-codes.test.ts',
    'lib/shield/seen-row.ts': 'test/deploy/shield/suggestion.test.ts',
    'lib/shield/shields.ts': 'test/agent-side/shield/shield.test.ts',
    'lib/runtime/package-version.ts': 'test/lib/cli/command.test.ts',
    'lib/operator/nft-library.ts': 'test/lib/operator/doctor-checks.test.ts',
    'lib/operator/answer-fields.ts': 'test/lib/operator/health-command.test.ts',
    'lib/operator/explanation.ts': 'test/agent-side/admin/explain.test.ts',
    'lib/operator/finding.ts': 'test/lib/operator/audit-command.test.ts',
    'lib/host/remote-date.ts': 'test/lib/host/process-facts.test.ts',
    'lib/operator/audit-query.ts': 'test/lib/operator/audit-command.test.ts',
    'lib/operator/checks/of-daemons.ts': 'test/lib/operator/doctor-checks.test.ts',
    'lib/operator/checks/of-host.ts': 'test/lib/operator/doctor-checks.test.ts',
    'lib/operator/checks/of-namespaces.ts': 'test/lib/operator/doctor-checks.test.ts',
    'lib/operator/checks/of-processes.ts': 'test/lib/operator/doctor-checks.test.ts',
    'lib/operator/findings-exit-code.ts': 'test/lib/operator/audit-command.test.ts',
    'lib/operator/host-codes.ts': 'test/lib/operator/audit-findings.test.ts',
    'lib/operator/host-facts.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/operator/health.ts': 'test/lib/operator/health-watch.test.ts',
    'lib/operator/health-metrics.ts': 'test/lib/operator/health-watch.test.ts',
    'lib/operator/finding-codes.ts': 'test/lib/operator/audit-findings.test.ts',
    'lib/operator/readiness.ts': 'test/lib/operator/health-command.test.ts',
    'lib/operator/daemons-here.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/operator/reasons-command.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/operator/status-command.ts': 'test/deploy/overlapd/operator-program.test.ts',
    'lib/cli/terminal.ts': 'test/deploy/overlapd/overlapd.test.ts',
  }
  // The parts of the OVSDB client are tested through it, against a server.
  const sources = paths.filter((path) => path.startsWith('lib/') && !path.startsWith('lib/ovsdb/'))
  const testless = sources.filter((path) => {
    const test = covered[path] ?? `test/${path.replace(/\.ts$/, '.test.ts')}`
    return !paths.includes(test)
  })
  t.strictSame(testless, [])
  for (const path of Object.keys(covered)) t.ok(paths.includes(path), `${path} still exists`)
})

t.test('a file of production has at most 350 lines, since it has one idea', async (t) => {
  const long = sourceFiles().filter(({ text }) => text.split('\n').length - 1 > 350)
  t.strictSame(
    long.map(({ path }) => path),
    [],
  )
})
