/** Which shields are there, what can a policy do about each, and for whom? */

/**
 * - `token`: a session token must come with the request.
 * - `forwarded`: no router and no proxy inside the guest may stand between.
 * - `host`: `Host` must name the metadata service.
 * - `low_port`: the source port must be below 1024, which takes a privilege.
 */
export type Shield = 'token' | 'forwarded' | 'host' | 'low_port'
/** In the order in which they are looked at. */
export const shields = [
  'forwarded',
  'host',
  'low_port',
  'token',
] as const satisfies readonly Shield[]

/** `off`: not looked at. `observe`: counted and reported. `enforce`: refused. */
export type ShieldAction = 'off' | 'observe' | 'enforce'
export const shieldActions: readonly ShieldAction[] = ['off', 'observe', 'enforce']

/** What a rule is for, the most particular first: that of an instance counts before that of its project. */
export const ruleSubjects = ['instance', 'network', 'router', 'project'] as const
export type RuleSubject = (typeof ruleSubjects)[number]
