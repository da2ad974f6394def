/** May a project have one more of the slots that there are? */
import type { Count } from '../runtime/clock.ts'

/** One part in so many of the slots is kept for projects that hold few. */
const reservedPart = 4

/**
 * The last quarter of the slots is for projects that hold less than a quarter each. So one project alone, be its requests ever so
 * slow, leaves some slots free for the next one that comes.
 */
export function hasRoomFor(slots: {
  readonly limit: Count
  readonly running: Count
  readonly ofProject: Count
}): boolean {
  const { limit, running, ofProject } = slots
  const free = limit - running
  const reserved = Math.floor(limit / reservedPart)
  return free > reserved || (free > 0 && ofProject < reserved)
}

/** Counts who holds how many slots, where no holder waits: one that gets none goes another way. */
export class FairShare {
  readonly #ofProject = new Map<string, Count>()
  #running: Count = 0

  get running(): Count {
    return this.#running
  }

  /** Takes a slot if there is one for the project. @returns whether it did; give it back with `leave` */
  tryEnter(project: string, limit: Count): boolean {
    const ofProject = this.#ofProject.get(project) ?? 0
    if (!hasRoomFor({ limit, running: this.#running, ofProject })) return false
    this.#ofProject.set(project, ofProject + 1)
    this.#running += 1
    return true
  }

  leave(project: string): void {
    const ofProject = this.#ofProject.get(project) ?? 0
    if (ofProject === 0) return
    if (ofProject === 1) this.#ofProject.delete(project)
    else this.#ofProject.set(project, ofProject - 1)
    this.#running -= 1
  }
}
