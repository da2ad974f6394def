/** What do the tags of a network add to the policy? Tenants write them, so they can only make it stricter, for guests of that network. */
import { LRUCache } from 'lru-cache'
import type { NetworkId } from '../../lib/identity/ids.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { documentClasses, type DocumentClass } from '../../lib/shield/document-class.ts'
import { mostShieldTags } from '../../lib/shield/network-tag.ts'
import type { Shield } from '../../lib/shield/shields.ts'
import type { Decided, TagAction, TagActions } from './policy.ts'

/** What came of a tag. */
export const tagOutcomes = ['used', 'unreadable', 'beyond_limit'] as const
export type TagOutcome = (typeof tagOutcomes)[number]

export interface NetworkTagsOptions {
  readonly logger: Pick<Logger, 'warn'>
  /** Called for each tag of a network when they are new to us, or have changed. */
  readonly onTag: (outcome: TagOutcome) => void
}

const mostNetworks: Count = 10_000

const pattern =
  /^overlapd:(\*|identity|user_data|password|other):(token|forwarded|host)=(observe|enforce)$/

interface ReadTags {
  readonly text: string
  readonly actions: TagActions
}

/** Reads the tags of each network once, as long as they stay the same. */
export class NetworkTags {
  readonly #options: NetworkTagsOptions
  readonly #read = new LRUCache<NetworkId, ReadTags>({ max: mostNetworks })

  constructor(options: NetworkTagsOptions) {
    this.#options = options
  }

  /** @param tags those that begin with `overlapd:`, in an order that stays */
  actionsOf(networkId: NetworkId, tags: readonly string[] | undefined): TagActions {
    if (tags === undefined) return {}
    const text = JSON.stringify(tags)
    const known = this.#read.get(networkId)
    if (known?.text === text) return known.actions
    const actions = this.#actionsOf(networkId, tags)
    this.#read.set(networkId, { text, actions })
    return actions
  }

  #actionsOf(networkId: NetworkId, tags: readonly string[]): TagActions {
    const { logger, onTag } = this.#options
    const actions: Partial<Record<Shield, Partial<Record<DocumentClass, Decided<TagAction>>>>> = {}
    const ignored: string[] = []
    for (const [index, tag] of tags.entries()) {
      const [, documents, shield, value] = pattern.exec(tag) ?? []
      const isUsed = value !== undefined && index < mostShieldTags
      onTag(isUsed ? 'used' : index < mostShieldTags ? 'unreadable' : 'beyond_limit')
      if (!isUsed) {
        ignored.push(tag)
        continue
      }
      const ofShield = (actions[shield as Shield] ??= {})
      for (const one of documentClasses) {
        if (documents !== '*' && documents !== one) continue
        if (ofShield[one]?.value === 'enforce') continue
        ofShield[one] = { value: value as TagAction, rule: `network tag ${tag}` }
      }
    }
    const [first] = ignored
    if (first !== undefined) {
      const what = { networkId, tags: ignored.length, first: first }
      logger.warn(what, 'Tags of a network mean nothing to the shield and are ignored')
    }
    return actions
  }
}
