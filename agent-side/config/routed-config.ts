/** Options about guests that are routed further away. */
import { leafOption, oneOf } from '../../lib/config/option.ts'
import { list, optional, record, section } from '../../lib/config/structure.ts'
import { parseNetworkId, type NetworkId } from '../../lib/identity/ids.ts'
import { routedPolicies, routedRules, type RoutedRules } from '../resolve/routed-policy.ts'

const networkId = leafOption<NetworkId>(
  {
    type: 'network id',
    expected: 'the id of a network',
    parse: ({ value }) => parseNetworkId(value),
    show: (id) => id,
  },
  { help: 'Id of a network.' },
)

/** `routed` and `networks` of the agent's configuration. */
export const routedTable = {
  routed: oneOf(routedPolicies, {
    help: 'What a guest gets whose frame came from a MAC that no port on the link has. by_address: the metadata that its address stands for, on the network it came in through. refuse: nothing.',
    default: 'by_address',
  }),
  networks: record(
    section({
      routed: optional(
        oneOf(routedPolicies, {
          help: 'Instead of routed above, for requests that come in through this network.',
        }),
      ),
      behind: list(networkId, {
        help: 'Networks whose guests are routed into this one by a VM. Whoever can send from this network with any address can then be any of their guests. A network on which the router has an interface is never looked at.',
        default: [],
        max: 256,
      }),
    }),
    {
      help: 'What holds for single networks, by their ids.',
      default: {},
      namePattern: /^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$/,
      expectedName: 'the id of a network',
    },
  ),
} as const

/** The rules that the options make. */
export function routedRulesOf(config: {
  readonly routed: (typeof routedPolicies)[number]
  readonly networks: Readonly<
    Record<
      string,
      {
        readonly routed: (typeof routedPolicies)[number] | undefined
        readonly behind: readonly NetworkId[]
      }
    >
  >
}): RoutedRules {
  const entries = Object.entries(config.networks).flatMap(([id, entry]) => {
    const network = parseNetworkId(id)
    return network === undefined ? [] : [{ network, ...entry }]
  })
  return routedRules(config.routed, entries)
}
