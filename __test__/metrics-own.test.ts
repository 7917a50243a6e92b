import { ProcessAgentError } from '../ts/errors';
import { Collector } from '../ts/metrics/collector';
import { OwnMetrics } from '../ts/metrics/own';
import { Receiver } from './metrics/receiver';

describe("a member's own metrics", () => {
  it('are told with the numbers of now', async () => {
    let pending = 0;
    const traffic = { bytesIn: 0, bytesOut: 0 };
    const own = new OwnMetrics(() => pending, traffic);
    const receiver = new Receiver([own]);
    for (let calls = 1; calls <= 3; calls++) {
      own.roleChanges++;
      pending = calls;
      traffic.bytesIn += 10;
      traffic.bytesOut += 20;
      own.succeeded(performance.now());
      own.failed(undefined, new ProcessAgentError('ERR_AGENT_CLOSED', 'closed', { outcome: 'not-sent' }));
      expect(await receiver.samples()).toMatchObject({
        process_agent_role_changes_total: calls,
        'process_agent_calls_total{outcome="ok"}': calls,
        'process_agent_calls_total{outcome="not-sent"}': calls,
        'process_agent_calls_total{outcome="unknown"}': 0,
        process_agent_queue_depth: calls,
        'process_agent_bytes_total{direction="in"}': 10 * calls,
        'process_agent_bytes_total{direction="out"}': 20 * calls,
        'process_agent_call_duration_seconds_bucket{le="+Inf"}': calls,
        'process_agent_call_duration_seconds_bucket{le="30"}': calls,
        process_agent_call_duration_seconds_count: calls,
      });
    }
    expect(receiver.schemas).toBe(1);
    expect(receiver.problems).toEqual([]);
  });

  it('are read directly, at once', async () => {
    const own = new OwnMetrics(() => 0, { bytesIn: 0, bytesOut: 0 });
    const collector = new Collector(() => [own]);
    await collector.collect();
    expect(collector.collect()).not.toBeInstanceOf(Promise);
  });
});
