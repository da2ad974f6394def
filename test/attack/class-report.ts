/** What one class of attack came to. All but `tried` and `othersTried` must be 0. */
export interface Figures {
  /** Attacks made. */
  readonly tried: number
  /** Attacks that were served where they had to be refused. */
  readonly accepted: number
  /** Processes of the service that ended, or stopped answering, without being told to. */
  readonly crashed: number
  /** Answers that were somebody else's, or not what the attack must be answered with. */
  readonly wrong: number
  /** Requests of guests who did nothing wrong, made during the attack. */
  readonly othersTried: number
  /** Those of them that were not answered as they must be. */
  readonly othersFailed: number
}

export const faults = ['accepted', 'crashed', 'wrong', 'othersFailed'] as const
export type Fault = (typeof faults)[number]

/** A fault with what is needed to have it again. */
export interface Finding {
  readonly fault: Fault
  readonly what: string
  readonly times: number
}

/** A report as it crosses processes and as `--json` writes it. */
export interface ReportValue extends Figures {
  readonly findings: readonly Finding[]
  /** Other figures worth reading: bytes held, latencies, answers by status. */
  readonly measured: Readonly<Record<string, number | string>>
}

/** Different findings that are kept; all are counted. */
const keptFindings = 40

/** Collects while a class runs. */
export class ClassReport {
  readonly #figures: Record<keyof Figures, number> = {
    tried: 0,
    accepted: 0,
    crashed: 0,
    wrong: 0,
    othersTried: 0,
    othersFailed: 0,
  }
  readonly #findings = new Map<string, { fault: Fault; what: string; times: number }>()
  readonly #measured = new Map<string, number | string>()

  tried(count = 1): void {
    this.#figures.tried += count
  }

  othersTried(count = 1): void {
    this.#figures.othersTried += count
  }

  /** @param what names the attack and what came of it, the same text for the same fault */
  fault(fault: Fault, what: string): void {
    this.#figures[fault] += 1
    const key = `${fault} ${what}`
    const known = this.#findings.get(key)
    if (known !== undefined) known.times += 1
    else if (this.#findings.size < keptFindings) {
      this.#findings.set(key, { fault, what, times: 1 })
    }
  }

  /** Says a figure; a later one of the same name replaces it. */
  measured(name: string, value: number | string): void {
    this.#measured.set(name, value)
  }

  /** Adds to a figure that counts. */
  count(name: string, by = 1): void {
    const before = this.#measured.get(name)
    this.#measured.set(name, (typeof before === 'number' ? before : 0) + by)
  }

  get value(): ReportValue {
    return {
      ...this.#figures,
      findings: [...this.#findings.values()],
      measured: Object.fromEntries(this.#measured),
    }
  }
}

/** True when nothing in a report must be repaired. */
export function isClean(report: ReportValue): boolean {
  return report.tried > 0 && faults.every((fault) => report[fault] === 0)
}
