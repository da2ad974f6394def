import t from 'tap'
import { NetworkTags, type TagOutcome } from '../../../agent-side/shield/network-tags.ts'
import { GuestPolicy, usualRules } from '../../../agent-side/shield/policy.ts'
import type { ShieldAction } from '../../../lib/shield/shields.ts'
import { documentClasses } from '../../../lib/shield/document-class.ts'
import { instanceId, networkId, projectId } from '../../conformance/topology.ts'

const identity = { instanceId: instanceId(1), projectId: projectId(1), networkId: networkId(1) }
const scope = { kind: 'network', networkId: networkId(1) } as const

function made() {
  const log: unknown[] = []
  const outcomes: TagOutcome[] = []
  const tags = new NetworkTags({
    logger: { warn: (details: unknown) => void log.push(details) },
    onTag: (outcome) => void outcomes.push(outcome),
  })
  return { tags, log, outcomes }
}

/** What holds for tokens of user data where the file says one thing and a tag another. */
function tokenUnder(byFile: ShieldAction | undefined, ...tags: readonly string[]): unknown {
  const actions = byFile === undefined ? {} : { token: { user_data: byFile } }
  const rules = { ...usualRules, byDefault: { name: 'default', actions } }
  const byTags = made().tags.actionsOf(networkId(1), tags)
  const { value, rule } = new GuestPolicy(rules, identity, scope, byTags).action(
    'token',
    'user_data',
  )
  return `${value} (${rule})`
}

t.test('of a rule and a tag the stricter one decides', async (t) => {
  const observe = 'overlapd:user_data:token=observe'
  const enforce = 'overlapd:*:token=enforce'
  const cases = [
    [undefined, enforce, `enforce (network tag ${enforce})`],
    ['off', enforce, `enforce (network tag ${enforce})`],
    ['off', observe, `observe (network tag ${observe})`],
    ['observe', observe, 'observe (default)'],
    ['enforce', observe, 'enforce (default)'],
    ['enforce', enforce, 'enforce (default)'],
  ] as const
  for (const [byFile, tag, expected] of cases) {
    t.equal(tokenUnder(byFile, tag), expected, `${byFile} and ${tag}`)
  }
  t.equal(tokenUnder(undefined, enforce, observe), `enforce (network tag ${enforce})`)
  t.equal(tokenUnder(undefined, observe, enforce), `enforce (network tag ${enforce})`)
  t.equal(tokenUnder(undefined, 'overlapd:password:token=enforce'), 'observe (built in)')
})

t.test('a tag is for the shields and classes that it names, and for nothing else', async (t) => {
  const { tags } = made()
  const actions = tags.actionsOf(networkId(1), [
    'overlapd:*:forwarded=enforce',
    'overlapd:other:host=observe',
  ])
  t.strictSame(Object.keys(actions).toSorted(), ['forwarded', 'host'])
  t.strictSame(Object.keys(actions.forwarded ?? {}).toSorted(), [...documentClasses].toSorted())
  t.strictSame(Object.keys(actions.host ?? {}), ['other'])
  t.strictSame(tags.actionsOf(networkId(2), undefined), {}, 'nor for another network')
})

t.test('what cannot be read is ignored, counted and logged once', async (t) => {
  const { tags, log, outcomes } = made()
  const unreadable = [
    'overlapd:',
    'overlapd:*:token=off',
    'overlapd:*:seal=never',
    'overlapd:*:low_port=enforce',
    'overlapd:secrets:token=enforce',
    'overlapd:*:token=enforce ',
    'overlapd:*:token=enforce\noverlapd:*:host=enforce',
    'Overlapd:*:token=enforce',
    'overlapd:*:constructor=enforce',
    'overlapd:__proto__:token=enforce',
  ]
  for (let count = 0; count < 3; count += 1) {
    t.strictSame(tags.actionsOf(networkId(1), [...unreadable]), {})
  }
  t.strictSame(
    outcomes,
    unreadable.map(() => 'unreadable'),
  )
  t.strictSame(log, [{ networkId: networkId(1), tags: unreadable.length, first: 'overlapd:' }])
  t.match(tags.actionsOf(networkId(1), ['overlapd:*:token=enforce']), { token: {} }, 'changed')
  t.equal(outcomes.at(-1), 'used')
  t.equal(log.length, 1)
})

t.test('of more tags than 64 the rest is not read', async (t) => {
  const { tags, outcomes } = made()
  const many = Array.from({ length: 64 }, (_, index) => `overlapd:${index}`)
  t.strictSame(tags.actionsOf(networkId(1), [...many, 'overlapd:other:token=enforce']), {})
  t.equal(outcomes.filter((one) => one === 'unreadable').length, 64)
  t.strictSame(outcomes.slice(64), ['beyond_limit'])
})
