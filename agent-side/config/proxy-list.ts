/** How does the operator write which proxies may connect, in the configuration or in a file of its own? */
import { problemsOfFile } from '../../lib/config/config-error.ts'
import type { ConfigProblem } from '../../lib/config/entry.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { leafOption, text } from '../../lib/config/option.ts'
import { list, section } from '../../lib/config/structure.ts'
import {
  parseScopeGrant,
  proxyNamePattern,
  type ProxyGrant,
  type ScopeGrant,
} from '../peers/proxy-grants.ts'

const scopeGrant = leafOption<ScopeGrant>(
  {
    type: 'scope',
    expected: 'router/ID, network/ID or * for every scope',
    parse: ({ value }) => parseScopeGrant(value),
    show: (value) => value,
  },
  { help: 'One scope that it may speak for.' },
)

const proxy = section({
  name: text({
    help: 'DNS name of its certificate, or the common name of one without DNS names. Compared as a whole; there are no patterns.',
    pattern: proxyNamePattern,
    expected: 'a name of letters, digits, dots, dashes and underscores',
  }),
  scopes: list(scopeGrant, {
    help: 'What it may speak for: router/ID, network/ID, or * for every scope.',
    max: 100_000,
  }),
})

/** Each name is compared with the certificate of each new connection. */
const mostProxies = 10_000

const help =
  'Proxies that may connect, by the names of their certificates: a list of name and scopes.'

/** The option `proxies`. */
export const proxiesOption = list(proxy, { help, default: [], max: mostProxies })

/** What is wrong with a list that no single entry can know. */
export function proxyListProblems(
  proxies: readonly ProxyGrant[],
  path: string,
): readonly ConfigProblem[] {
  const seen = new Set<string>()
  return proxies.flatMap(({ name }, index) => {
    const plain = name.toLowerCase()
    if (!seen.has(plain)) {
      seen.add(plain)
      return []
    }
    return [{ path: `${path}[${index}].name`, message: `"${name}" is listed more than once` }]
  })
}

/**
 * Reads a file that holds `proxies:` and nothing else.
 * @throws {ConfigError} with every problem there is
 */
export function readProxyList(file: string): readonly ProxyGrant[] {
  const { config } = loadConfig(
    { proxies: list(proxy, { help, max: mostProxies }) },
    {
      file,
      environment: {},
      environmentPrefix: 'OVERLAPD_PROXY_LIST',
      check: ({ proxies }) => proxyListProblems(proxies, 'proxies'),
    },
  )
  return config.proxies
}

/** The problems of a file of proxies, for `check`. */
export function proxyFileProblems(file: string, path: string): readonly ConfigProblem[] {
  return problemsOfFile(path, () => readProxyList(file))
}
