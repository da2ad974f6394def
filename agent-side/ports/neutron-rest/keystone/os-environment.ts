import { authenticationFrom, type AuthenticationValues } from './authentication.ts'
import { endpointInterfaceFrom, type Cloud } from './cloud.ts'

/** Environment variables as given by the caller. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Variables that configure the SDK rather than a cloud. @see openstack/config/loader.py */
const notOfACloud = new Set([
  'OS_CLOUD',
  'OS_CLIENT_CONFIG_FILE',
  'OS_CLIENT_SECURE_FILE',
  'OS_CLIENT_VENDOR_FILE',
  'OS_CLOUD_NAME',
])

/** The words of the SDKs for the variables: `OS_PROJECT_NAME` is `project_name`. Empty ones count as absent. */
export function cloudVariables(environment: Environment): AuthenticationValues {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      name.startsWith('OS_') && !notOfACloud.has(name) && value !== undefined && value !== ''
        ? [[name.slice('OS_'.length).toLowerCase(), value]]
        : [],
    ),
  )
}

/** True for what Python's clients take as yes. */
export function isYes(text: string | undefined): boolean {
  return ['1', 'true', 'yes', 'on'].includes(text?.toLowerCase() ?? '')
}

/**
 * The cloud that the `OS_*` variables describe, as `openstackclient` reads them.
 * @throws {AuthenticationProblem}
 */
export function cloudFromEnvironment(environment: Environment): Cloud {
  const values = cloudVariables(environment)
  const { auth_type: type, region_name: region, cacert, cert, key } = values
  const endpoint = values['network_endpoint_override'] ?? values['endpoint_override']
  const wanted = values['interface'] ?? values['endpoint_type']
  return {
    authentication: authenticationFrom(type, values),
    tls: {
      insecure: isYes(values['insecure']),
      ...(cacert !== undefined && { caFile: cacert }),
      ...(cert !== undefined && { certFile: cert }),
      ...(key !== undefined && { keyFile: key }),
    },
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(wanted !== undefined && { endpointInterface: endpointInterfaceFrom(wanted) }),
  }
}
