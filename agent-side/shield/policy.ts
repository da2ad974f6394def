/** What does the operator want for a guest: which shields, for which documents, and how strictly? */
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import type { Identity } from '../resolve/resolution.ts'
import type { DocumentClass } from '../../lib/shield/document-class.ts'
import {
  ruleSubjects,
  shieldActions,
  type RuleSubject,
  type Shield,
  type ShieldAction,
} from '../../lib/shield/shields.ts'

/** When documents stop being served. */
export interface SealTerms {
  readonly after: Milliseconds
  /** Counted from the first successful fetch of one of them, or from the first request of the instance. */
  readonly from: 'fetch' | 'first_request'
}

/** What one rule decides; what it leaves open, a more general one decides. */
export interface PolicyRule {
  /** `network 91c0…`, or `default`. */
  readonly name: string
  readonly actions: Readonly<
    Partial<Record<Shield, Readonly<Partial<Record<DocumentClass, ShieldAction>>>>>
  >
  /** Of answers with tokens and of answers under `forwarded: enforce`, 1 to 64; so many routers less one may stand between. */
  readonly hopLimit?: Count | undefined
  readonly seal?: SealTerms | 'never' | undefined
}

/** A policy as it was read. */
export interface PolicyRules {
  readonly rules: Readonly<Record<RuleSubject, ReadonlyMap<string, PolicyRule>>>
  readonly byDefault: PolicyRule
  /** Names in `Host` that are taken beside those of the metadata service, in lower case. */
  readonly hostNames: ReadonlySet<string>
}

/** A value and the rule that decided it. */
export interface Decided<Value> {
  readonly value: Value
  readonly rule: string
}

/** What a tag can demand. */
export type TagAction = Exclude<ShieldAction, 'off'>

/** What the tags of a network demand, each with the tag that does. */
export type TagActions = Readonly<
  Partial<Record<Shield, Readonly<Partial<Record<DocumentClass, Decided<TagAction>>>>>>
>

/** What holds where no rule decides: every shield but `low_port` is reported, none refuses. */
const usual: PolicyRule = {
  name: 'built in',
  actions: {},
  hopLimit: 1,
  seal: 'never',
}

const nothing: PolicyRule = { name: 'default', actions: {} }

/** The policy without a file. */
export const usualRules: PolicyRules = {
  rules: { instance: new Map(), network: new Map(), router: new Map(), project: new Map() },
  byDefault: nothing,
  hostNames: new Set(),
}

/** How many rules there are beside the default. */
export function rulesOf({ rules }: PolicyRules): Count {
  return ruleSubjects.reduce((sum, subject) => sum + rules[subject].size, 0)
}

/** Whether any rule seals documents. */
export function sealsAny({ rules, byDefault }: PolicyRules): boolean {
  const all = [byDefault, ...ruleSubjects.flatMap((subject) => [...rules[subject].values()])]
  return all.some(({ seal }) => seal !== undefined && seal !== 'never')
}

/** What holds for one guest. */
export class GuestPolicy {
  /** The most particular one first. */
  readonly #rules: readonly PolicyRule[]
  readonly #tags: TagActions

  constructor(
    { rules, byDefault }: PolicyRules,
    identity: SubjectIds,
    scope: Scope,
    tags: TagActions = {},
  ) {
    this.#tags = tags
    const { instance, network, router, project } = rules
    const found = [
      instance.get(identity.instanceId),
      network.get(identity.networkId),
      scope.kind === 'router' ? router.get(scope.routerId) : undefined,
      project.get(identity.projectId),
    ]
    this.#rules = [...found.filter((rule) => rule !== undefined), byDefault, usual]
  }

  /** The stricter of two actions: that of the rules, and that of the tags of the network. */
  action(shield: Shield, of: DocumentClass): Decided<ShieldAction> {
    const byRule = this.#actionByRule(shield, of)
    const byTag = this.#tags[shield]?.[of]
    return byTag !== undefined && isStricter(byTag.value, byRule.value) ? byTag : byRule
  }

  #actionByRule(shield: Shield, of: DocumentClass): Decided<ShieldAction> {
    for (const { name, actions } of this.#rules) {
      const value = actions[shield]?.[of]
      if (value !== undefined) return { value, rule: name }
    }
    return { value: shield === 'low_port' ? 'off' : 'observe', rule: usual.name }
  }

  get hopLimit(): Decided<Count> {
    return this.#first(({ hopLimit }) => hopLimit) ?? { value: 1, rule: usual.name }
  }

  get seal(): Decided<SealTerms | 'never'> {
    return this.#first(({ seal }) => seal) ?? { value: 'never', rule: usual.name }
  }

  #first<Value>(of: (rule: PolicyRule) => Value | undefined): Decided<Value> | undefined {
    for (const rule of this.#rules) {
      const value = of(rule)
      if (value !== undefined) return { value, rule: rule.name }
    }
    return undefined
  }
}

function isStricter(one: ShieldAction, other: ShieldAction): boolean {
  return shieldActions.indexOf(one) > shieldActions.indexOf(other)
}

/** What of an identity rules are for. */
export type SubjectIds = Pick<Identity, 'instanceId' | 'networkId' | 'projectId' | 'networkTags'>
