/** By which library does the proxy load its rules, and what is to be installed where it is missing? */
export const nftLibrary = {
  /** The name it has had since its first stable version. */
  file: 'libnftables.so.1',
  remedy: 'Install the package libnftables1 (Debian, Ubuntu) or nftables (Fedora, RHEL).',
} as const
