/** Which authorities does this machine trust? Node by itself uses its own built-in list, whatever the machine's administrator added. */
import { readFileSync } from 'node:fs'

/** Where distributions keep the bundle that their tools maintain: Debian and Alpine, Red Hat, SUSE, the BSDs and Alpine. */
const usualBundles: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/**
 * The system's certificate authorities as PEM. `SSL_CERT_FILE` names another bundle, as it does for OpenSSL and so for the
 * Python services of OpenStack.
 * @returns `undefined` where the machine has no bundle; Node's built-in list applies then
 */
export function systemAuthorities(
  bundleVariable = process.env['SSL_CERT_FILE'],
  bundles = usualBundles,
): string | undefined {
  const named = bundleVariable === undefined || bundleVariable === '' ? [] : [bundleVariable]
  for (const file of [...named, ...bundles]) {
    const text = readIfThere(file)
    if (text?.includes('-----BEGIN CERTIFICATE-----') === true) return text
  }
  return undefined
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
