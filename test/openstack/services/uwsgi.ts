import { startDaemon } from '../daemon.ts'
import type { Place } from '../place.ts'

export interface UwsgiService {
  readonly name: string
  readonly tcpPort: number
  /** The program of the package that holds the WSGI application. */
  readonly application: string
  readonly environment: Readonly<Record<string, string>>
}

/** Runs a WSGI application with the options that Debian's packages give uWSGI. */
export function startUwsgi(place: Place, service: UwsgiService): void {
  startDaemon(place, {
    name: service.name,
    program: '/usr/bin/uwsgi',
    arguments: [
      '--plugins',
      'python3',
      '--master',
      '--no-orphans',
      '--die-on-term',
      '--http-socket',
      `127.0.0.1:${service.tcpPort}`,
      '--wsgi-file',
      service.application,
      '--processes',
      '2',
      '--threads',
      '1',
      '--enable-threads',
      '--lazy-apps',
      '--thunder-lock',
      '--buffer-size',
      '65535',
      '--paste-logger',
      // Answers then end with the connection.
      '--rem-header',
      'Content-Length',
      '--procname-prefix-spaced',
      service.name,
      '--chdir',
      place.folder,
    ],
    environment: service.environment,
  })
}
