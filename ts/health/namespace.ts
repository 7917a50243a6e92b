/** The component's, in Midway's lists of configurations and health checks. */
export const NAMESPACE = 'process-agent';
