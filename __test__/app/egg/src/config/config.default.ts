export const keys = 'not-secret';
export const security = { csrf: false };
export const cluster = { listen: { port: Number(process.env.PORT), hostname: '127.0.0.1' } };
export const processAgent = JSON.parse(process.env.PROCESS_AGENT_CONFIG ?? '{}');
