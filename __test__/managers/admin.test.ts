import { plainNode } from '../support/deployments';
import { freePorts, get, request } from '../support/http';
import { killAll } from '../support/processes';
import { until } from '../support/until';

afterEach(killAll);

interface Health {
  status: boolean;
  reason?: string;
  members: { member: { pid: number }; state: string; checks?: { namespace: string; status: boolean }[] }[];
}

test.each(['v4', 'v3'] as const)(
  'Midway %s: the admin endpoint tells of the checks of every process, and of all when all are stuck',
  async project => {
    const [port] = await freePorts(1);
    const env = { PROCESS_AGENT_CONFIG: JSON.stringify({ admin: { port } }) };
    const { application, processes } = await plainNode({
      project,
      workers: 3,
      group: `admin-${process.pid}-${project}`,
      env,
    });
    const health = async () => {
      const { status, body } = await request(port, '/health');
      return { code: status, ...(JSON.parse(body) as Health) };
    };
    const untilHealth = (what: string, is: (said: Health) => boolean) =>
      until(
        async () => {
          const said = await health();
          return is(said) ? said : undefined;
        },
        { what, every: 20 },
      );

    const well = await untilHealth('three that are well', ({ members }) =>
      members.every(({ state, checks }) => members.length === 3 && state === 'ok' && checks !== undefined),
    );
    expect(well).toMatchObject({ code: 200, status: true });
    for (const { checks } of well.members) {
      expect(checks).toContainEqual({ namespace: '__main__', status: true });
    }

    await get(application.ports[1], '/check?reason=no-database');
    const { reason, code } = await untilHealth('a check that fails', ({ status }) => !status);
    expect(code).toBe(503);
    expect(reason).toMatch(new RegExp(`pid ${processes[1].pid} .*: check __main__ fails: no-database$`));
    expect((await request(port, '/metrics')).body).toContain('process_agent_members{state="ready"} 3\n');

    await Promise.all(application.ports.map(each => get(each, '/stall?ms=1000000')));
    const stuck = await untilHealth('all to be stuck', ({ members }) =>
      members.every(({ state }) => state === 'stuck'),
    );
    for (const { pid } of processes) {
      expect(stuck.reason).toContain(`pid ${pid} `);
    }
    expect((await request(port, '/metrics')).body).toContain('process_agent_members{state="ready"} 3\n');
  },
);
