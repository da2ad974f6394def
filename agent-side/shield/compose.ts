/** How does the shield come together with its files? */
import { randomBytes } from 'node:crypto'
import { WatchedFiles } from '../../lib/files/watched-files.ts'
import type { Registry } from '../../lib/observe/metrics.ts'
import { startable, type Part } from '../../lib/runtime/lifecycle.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { ShieldReport } from '../../lib/shield/seen-row.ts'
import { keptState } from './kept-state.ts'
import { Readiness } from './readiness.ts'
import { readTokenKeys } from './key-files.ts'
import { ShieldMetrics } from './metrics.ts'
import { NetworkTags } from './network-tags.ts'
import { rulesOf, sealsAny, usualRules, type PolicyRules } from './policy.ts'
import { readPolicyFile } from './policy-file.ts'
import { readOnce, type ReadFiles } from './read-once.ts'
import { Seals } from './seals.ts'
import type { InstanceId } from '../../lib/identity/ids.ts'
import { GuestShield } from './shield.ts'
import { TokenKeys } from './tokens.ts'
import { unmatchedRules } from './unmatched-rules.ts'

/** The shield, and the files that it is made of. */
export interface Shielding {
  readonly shield: GuestShield
  /** Watches the files. */
  readonly part: Part
  /** Who was seen, for the operator. */
  report(): ShieldReport
  /** Opens what is sealed. The log has who did that and why. @returns false when nothing was counted for the instance */
  unseal(order: UnsealOrder): boolean
  /** Calls after each change of the policy. */
  onPolicy(listener: () => void): void
  /** What is wrong with the files. */
  refusals(): ShieldRefusals
  /** Reads the files now, as after SIGHUP. */
  reload(): void
}

/** What is wrong with each sort of file; absent where nothing is. */
export interface ShieldRefusals {
  /** Why the changed version is not used. */
  readonly policy?: string
  readonly keys?: string
  /** Why it is not known what was sealed before, where the policy seals anything. */
  readonly windows?: string
  /** Why no window of another instance can begin, where the policy seals anything. */
  readonly full?: string
  /** Why the state cannot be written. */
  readonly state?: string
}

/** An operator's order to serve what is sealed. */
export interface UnsealOrder {
  readonly instanceId: InstanceId
  readonly who: string
  readonly why: string
}

/** Reads the files. @throws what is wrong with them: without a first version there is nothing to keep */
export function composeShield(
  { shield: options }: Pick<AgentConfig, 'shield'>,
  { clock, logger }: Surroundings,
  registry: Registry,
): Shielding {
  const metrics = new ShieldMetrics(registry)
  const { policy_file: policyFile, token_key_files: keyFiles, state_file: stateFile } = options
  const policyFiles = policyFile === undefined ? [] : [policyFile]
  let listener = (): void => undefined
  const opened: Pick<ReadFiles<unknown>, 'forgetFailure'>[] = []
  const watch = <Value>(
    file: 'policy' | 'keys',
    what: string,
    files: readonly string[],
    read: () => Value,
    onChange: (value: Value) => void,
  ): WatchedFiles<Value> => {
    const reading = readOnce(files, read, (outcome) => metrics.fileRead(file, outcome))
    opened.push(reading)
    const isSame = Object.is
    return new WatchedFiles({
      what,
      files,
      clock,
      logger,
      read: () => reading.read(),
      isSame,
      onChange,
    })
  }
  const readPolicy = (): PolicyRules =>
    policyFile === undefined ? usualRules : readPolicyFile(policyFile, stateFile !== undefined)
  let rules: PolicyRules
  const policy = watch('policy', 'policy of the shield', policyFiles, readPolicy, (changed) => {
    rules = changed
    listener()
  })
  rules = policy.current
  const ownKey = new Secret(randomBytes(32).toString('hex'))
  const readKeys = (): TokenKeys =>
    new TokenKeys(keyFiles.length === 0 ? [ownKey] : readTokenKeys(keyFiles))
  let tokenKeys: TokenKeys
  const keys = watch('keys', 'keys of session tokens', keyFiles, readKeys, (changed) => {
    tokenKeys = changed
  })
  tokenKeys = keys.current
  const readiness = new Readiness()
  // A window that is lost would open again what is sealed.
  const seals: Seals = new Seals({ clock, onChange: () => state?.writeSoon() })
  metrics.watch({ rules: () => rulesOf(rules), windows: () => seals.size })
  const state =
    stateFile === undefined
      ? undefined
      : keptState({ file: stateFile, clock, logger }, readiness, seals, {
          isSealing: sealsAny(rules),
          onRead: (outcome) => metrics.fileRead('state', outcome),
        })
  const shield = new GuestShield({
    clock,
    keys: () => tokenKeys,
    rules: () => rules,
    tags: new NetworkTags({ logger, onTag: (outcome) => metrics.tagRead(outcome) }),
    seals,
    observer: {
      judged(seen) {
        metrics.found(seen)
        readiness.note(seen, clock.wallTime())
      },
      tokenMade: () => metrics.tokenMade(),
      tokenLooked: (state) => metrics.tokenLooked(state),
    },
  })
  const part = startable(
    'files of the shield',
    () => {
      policy.start()
      keys.start()
      state?.start()
    },
    async () => {
      await Promise.all([policy.close(), keys.close(), state?.close()])
    },
  )
  return {
    shield,
    part,
    report: () => ({
      now: clock.wallTime(),
      policy: {
        ...(policyFile !== undefined && { file: policyFile }),
        loadedAt: policy.loadedAt,
        ...(policy.refusal !== undefined && { refusal: policy.refusal }),
        rules: rulesOf(rules),
        unmatched: unmatchedRules(rules, readiness.rows()),
      },
      ...(readiness.forgottenAt !== undefined && { forgottenAt: readiness.forgottenAt }),
      seen: [...readiness.rows()],
    }),
    unseal({ instanceId, who, why }) {
      const isUnsealed = seals.unseal(instanceId)
      logger.warn({ instanceId, who, why, isUnsealed }, 'Documents of an instance were unsealed')
      return isUnsealed
    },
    onPolicy: (changed) => {
      listener = changed
    },
    refusals: () => ({
      ...(policy.refusal !== undefined && { policy: policy.refusal }),
      ...(keys.refusal !== undefined && { keys: keys.refusal }),
      ...(seals.lost !== undefined && sealsAny(rules) && { windows: seals.lost }),
      ...(seals.isFull && sealsAny(rules) && { full: `${seals.size} windows are kept` }),
      ...(state?.failure !== undefined && { state: state.failure }),
    }),
    reload() {
      for (const one of opened) one.forgetFailure()
      policy.reload()
      keys.reload()
    },
  }
}
