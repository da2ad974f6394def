/**
 * Whose turn is it when more want to work than may? Slots are shared out by who holds how many now, not by who comes
 * how often: a project whose requests take ten seconds would otherwise soon hold every slot, since its requests start as
 * often as others' and end far less often.
 *
 * Three levels, each by the same rule "the one for whom least runs": two lanes, the preferred one with several times the
 * weight of the ordinary one; inside a lane the projects; inside a project the instances. Inside an instance, who came
 * first. No key starves: whoever holds nothing is next but for others that hold nothing, and those take turns.
 */
import type { Count } from '../runtime/clock.ts'
import { LeastLoaded, type Running } from './least-loaded.ts'

export interface FairQueueOptions {
  /** How many may wait. */
  readonly max: Count
  /** How many of one project may wait in each lane. */
  readonly maxPerProject: Count
  /** How many slots the preferred lane gets for each one of the ordinary lane while both have someone waiting. */
  readonly preference: Count
}

/** Where an instance's requests stand in the queue, running and waiting ones. Get it anew for each request. */
export interface Seat {
  /** Requests of the same project and lane that run. */
  readonly projectRunning: Count
}

/** Idle seats are kept for the next request, up to about so many. */
const idleSeats: Count = 4_096

class Place<Item> implements Seat, Running {
  readonly project: Project<Item>
  running: Count = 0
  /** In the order in which they came; made when a request first has to wait. */
  items: Set<Item> | undefined

  constructor(project: Project<Item>) {
    this.project = project
  }

  get projectRunning(): Count {
    return this.project.running
  }

  get waiting(): Count {
    return this.items?.size ?? 0
  }
}

class Project<Item> implements Running {
  readonly lane: Lane<Item>
  readonly places = new Map<string, Place<Item>>()
  readonly turns = new LeastLoaded<Place<Item>>()
  running: Count = 0
  waiting: Count = 0

  constructor(lane: Lane<Item>) {
    this.lane = lane
  }
}

class Lane<Item> implements Running {
  readonly projects = new Map<string, Project<Item>>()
  readonly turns = new LeastLoaded<Project<Item>>()
  running: Count = 0
  waiting: Count = 0
}

/** Whoever has most waiting. Looks at all that wait: only when there is no room left. */
function fattest<Member extends { readonly waiting: Count }>(
  members: Iterable<Member>,
): Member | undefined {
  let found: Member | undefined
  for (const member of members) {
    if (found === undefined || member.waiting > found.waiting) found = member
  }
  return found
}

/**
 * Holds what waits and knows what runs. When it is full, room is made at the cost of whoever has most waiting, so that
 * a flood drowns itself alone.
 */
export class FairQueue<Item> {
  readonly #options: FairQueueOptions
  readonly #preferred = new Lane<Item>()
  readonly #ordinary = new Lane<Item>()
  /** How often the preferred lane had its turn while a request waited in the other. */
  #turns: Count = 0
  #seats: Count = 0
  #sweepAt: Count = idleSeats

  constructor(options: FairQueueOptions) {
    this.#options = options
  }

  get running(): Count {
    return this.#preferred.running + this.#ordinary.running
  }

  get waiting(): Count {
    return this.#preferred.waiting + this.#ordinary.waiting
  }

  seat(project: string, instance: string, isPreferred: boolean): Seat {
    const lane = isPreferred ? this.#preferred : this.#ordinary
    const known = lane.projects.get(project)?.places.get(instance)
    return known ?? this.#newPlace(lane, project, instance)
  }

  /** Counts a request as running. */
  start(seat: Seat): void {
    this.#run(seat as Place<Item>, 1)
  }

  /** Counts it as ended. */
  finish(seat: Seat): void {
    this.#run(seat as Place<Item>, -1)
  }

  /**
   * Lets an item wait.
   * @returns what had to give way: another item, or this one itself when there is no room for it
   */
  add(seat: Seat, item: Item): Item | undefined {
    const place = seat as Place<Item>
    const evicted = this.#makeRoom(place)
    if (evicted === 'none') return item
    const { project } = place
    place.items ??= new Set()
    place.items.add(item)
    if (place.waiting === 1) project.turns.add(place)
    project.waiting += 1
    if (project.waiting === 1) project.lane.turns.add(project)
    project.lane.waiting += 1
    return evicted?.item
  }

  /** Takes back an item that no longer waits for its turn. */
  remove(seat: Seat, item: Item): void {
    const place = seat as Place<Item>
    const { project } = place
    if (place.items?.delete(item) !== true) return
    if (place.waiting === 0) project.turns.remove(place)
    project.waiting -= 1
    if (project.waiting === 0) project.lane.turns.remove(project)
    project.lane.waiting -= 1
  }

  /**
   * Takes out the item whose turn it is.
   * @param mayStart returns false for a seat that must not have a slot now; then the other lane has its turn
   */
  next(mayStart: (seat: Seat) => boolean): Item | undefined {
    const [first, second] = this.#lanesInTurn()
    return this.#nextOf(first, mayStart) ?? this.#nextOf(second, mayStart)
  }

  /** By what they hold, weighted. While neither holds more than its part, by turns of the same weight. */
  #lanesInTurn(): readonly [Lane<Item>, Lane<Item>] {
    const { preference } = this.#options
    const preferred = this.#preferred
    const ordinary = this.#ordinary
    const excess = ordinary.running * preference - preferred.running
    const isOrdinaryFirst = excess === 0 ? this.#turns >= preference : excess < 0
    return isOrdinaryFirst ? [ordinary, preferred] : [preferred, ordinary]
  }

  #nextOf(lane: Lane<Item>, mayStart: (seat: Seat) => boolean): Item | undefined {
    // If the project for which least runs may not start, none may.
    const place = lane.turns.first()?.turns.first()
    if (place?.items === undefined || !mayStart(place)) return undefined
    const [item] = place.items
    if (item === undefined) return undefined
    this.remove(place, item)
    this.#turns = lane === this.#preferred && this.#ordinary.waiting > 0 ? this.#turns + 1 : 0
    return item
  }

  #run(place: Place<Item>, change: 1 | -1): void {
    const { project } = place
    const isPlaceWaiting = place.waiting > 0
    if (isPlaceWaiting) project.turns.remove(place)
    place.running += change
    if (isPlaceWaiting) project.turns.add(place)
    const isProjectWaiting = project.waiting > 0
    if (isProjectWaiting) project.lane.turns.remove(project)
    project.running += change
    if (isProjectWaiting) project.lane.turns.add(project)
    project.lane.running += change
  }

  /** @returns the item that gave way, if one had to, or `none` when nothing should */
  #makeRoom(place: Place<Item>): { readonly item: Item } | 'none' | undefined {
    const { max, maxPerProject } = this.#options
    const { project } = place
    if (project.waiting >= maxPerProject) return this.#evictFrom(project, place)
    if (this.waiting < max) return undefined
    const isPreferred = project.lane === this.#preferred
    const hasOrdinary = this.#ordinary.waiting > 0
    if (!isPreferred && !hasOrdinary) return 'none'
    const victim = fattest((hasOrdinary ? this.#ordinary : this.#preferred).turns)
    if (victim === undefined) return 'none'
    if (victim === project) return this.#evictFrom(project, place)
    const isWorthIt = victim.lane !== project.lane || victim.waiting > project.waiting + 1
    return isWorthIt ? this.#evictFrom(victim) : 'none'
  }

  /** The latest of the instance that has most waiting; never of one that has hardly more than the newcomer. */
  #evictFrom(project: Project<Item>, newcomer?: Place<Item>): { readonly item: Item } | 'none' {
    const victim = fattest(project.turns)
    const items = victim?.items
    if (victim === undefined || items === undefined) return 'none'
    if (newcomer !== undefined && victim.waiting <= newcomer.waiting + 1) return 'none'
    let latest: { readonly item: Item } | 'none' = 'none'
    for (const item of items) latest = { item }
    if (latest !== 'none') this.remove(victim, latest.item)
    return latest
  }

  #newPlace(lane: Lane<Item>, projectKey: string, instance: string): Place<Item> {
    if (this.#seats >= this.#sweepAt) this.#sweep()
    let project = lane.projects.get(projectKey)
    if (project === undefined) {
      project = new Project(lane)
      lane.projects.set(projectKey, project)
    }
    const place = new Place(project)
    project.places.set(instance, place)
    this.#seats += 1
    return place
  }

  /** Forgets every seat on which nothing runs or waits. */
  #sweep(): void {
    for (const lane of [this.#preferred, this.#ordinary]) {
      for (const [projectKey, project] of lane.projects) {
        for (const [instance, place] of project.places) {
          if (place.running > 0 || place.waiting > 0) continue
          project.places.delete(instance)
          this.#seats -= 1
        }
        if (project.places.size === 0) lane.projects.delete(projectKey)
      }
    }
    this.#sweepAt = this.#seats * 2 + idleSeats
  }
}
