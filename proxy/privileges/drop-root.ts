/** How does a worker stop being root, once it has loaded everything? */

/**
 * Becomes another user in every thread, with no group but that user's own. The kernel takes all capabilities away with
 * it. What is loaded by then must be all that is ever loaded: the other user may not be able to read the program.
 * @param ids user and group by number, as the opener gives them on the command line; none to stay who one is
 * @throws Error when the system refuses
 */
export function becomeAccount(ids: readonly string[]): void {
  const [userId, groupId] = ids.map(Number)
  if (userId === undefined || groupId === undefined) return
  process.setgroups?.([])
  process.setgid?.(groupId)
  process.setuid?.(userId)
}
