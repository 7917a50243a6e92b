/**
 * Whether a request is meant for the admin endpoint of this process, as `src/admin/host.rs` has it for a group, where the
 * reason is, too; `__test__/support/hosts.json` holds both to it.
 */
import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';

/** A name or an address, with or without a port. */
interface Host {
  readonly name: string;
  readonly isAddress: boolean;
  readonly port: number | undefined;
}

/** `undefined`: it is. `known`: names besides `localhost`, in any case. */
export function refusalOf(
  { httpVersion, url = '', rawHeaders }: Pick<IncomingMessage, 'httpVersion' | 'url' | 'rawHeaders'>,
  known: readonly string[],
): { status: 400 | 421; text: string } | undefined {
  const ambiguous = (text: string) => ({ status: 400, text }) as const;
  const hosts = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1].toLowerCase() === 'host');
  if (hosts.length > 1) {
    return ambiguous('a request names one host');
  }
  if (hosts.length === 0 && httpVersion === '1.1') {
    return ambiguous('a request of HTTP/1.1 names a host');
  }
  const host = hosts.length === 0 ? undefined : read(hosts[0]);
  if (hosts.length > 0 && !host) {
    return ambiguous('the host is no name or address');
  }
  const [, scheme, authority = ''] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(url) ?? [];
  const target = scheme === undefined ? undefined : read(authority);
  if (scheme !== undefined && (scheme.toLowerCase() !== 'http' || !target || (host && !isSame(host, target)))) {
    return ambiguous('the target and the host differ');
  }
  const meant = host ?? target;
  const isKnown = !meant || meant.isAddress || ['localhost', ...known].some(name => name.toLowerCase() === meant.name);
  return isKnown ? undefined : { status: 421, text: FOREIGN };
}

const FOREIGN = 'this host name is not known here: processAgent.admin.hosts names those that are, besides addresses';

function read(text: string): Host | undefined {
  const [, address, before = '', digits = ''] = /^(?:\[([^\]]*)\]|([A-Za-z0-9._-]+))(?::([0-9]*))?$/.exec(text) ?? [];
  const name = address ?? before.replace(/\.$/, '').toLowerCase();
  const port = digits === '' ? undefined : Number(digits);
  if (name === '' || (address !== undefined && !isIPv6(address)) || (port !== undefined && port > 65_535)) {
    return undefined;
  }
  return { name, isAddress: address !== undefined || isIPv4(name), port };
}

function isSame(one: Host, other: Host): boolean {
  return one.name === other.name && one.port === other.port;
}
