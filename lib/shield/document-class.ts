/** Which sort of document does a request-target name, for policies? */

/**
 * - `identity`: which instance it is: meta_data.json and EC2's meta-data.
 * - `user_data`: what its owner put in: user data, vendor data, injected files.
 * - `password`: what the guest left for its owner.
 * - `other`: lists, network_data.json, and all else.
 */
export type DocumentClass = 'identity' | 'user_data' | 'password' | 'other'
export const documentClasses = [
  'identity',
  'user_data',
  'password',
  'other',
] as const satisfies readonly DocumentClass[]

/** Of each class, the words without which Nova's paths reach none of it. @see nova/api/metadata/base.py */
const words: readonly (readonly [DocumentClass, RegExp])[] = [
  ['password', /password/],
  ['user_data', /user[_-]data|vendor[_-]data|\/content(?:\/|$)/],
  ['identity', /meta[_-]data/],
]

/** So many layers of escapes are taken off. Nova's servers take one. */
const mostLayers = 4
const escape = /%([0-9A-Fa-f]{2})/g

/**
 * The classes that a target may reach, however it is spelled: escaped, with `..`, with repeated slashes. Where Nova would see one of them,
 * this may see more, and then the strictest policy counts.
 */
export function documentClassesOf(target: string): readonly DocumentClass[] {
  const found = new Set<DocumentClass>()
  let text = target
  for (let layer = 0; layer <= mostLayers; layer += 1) {
    const plain = text.toLowerCase()
    for (const [name, pattern] of words) if (pattern.test(plain)) found.add(name)
    if (!text.includes('%')) break
    text = text.replaceAll(escape, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
  }
  return found.size === 0 ? ['other'] : [...found]
}

/** Where session tokens are requested, as EC2 has it. */
export function isTokenTarget(target: string): boolean {
  return target === '/latest/api/token' || target.startsWith('/latest/api/token?')
}
