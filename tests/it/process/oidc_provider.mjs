// npm oidc-provider as somebody else's identity provider. It prints {"issuer": …} and runs until its
// standard input ends. Beside what the package serves, POST /sign signs any header and claims with the
// provider's own key, or with one that it does not publish: a provider gone wrong, or a forger.
import { createServer } from 'node:http';
import { CompactSign, exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const key = async (kid) => {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { kid, publicKey, privateKey, jwk: { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' } };
};
const own = await key('own');
const foreign = await key('own');

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const groups = { 'ci-main': ['dev-core', 'all'], 'ci-other': ['all'] };
const client = (id) => ({
  client_id: id,
  client_secret: `${id}-secret-of-the-identity-provider`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});
const provider = new Provider(issuer, {
  clients: Object.keys(groups).map(client),
  jwks: { keys: [own.jwk] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'deploy',
        audience: resource,
        accessTokenTTL: resource.endsWith('/short') ? 1 : 300,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (ctx, token) => ({ groups: groups[token.clientId] }),
});

const serve = provider.callback();
server.on('request', async (request, response) => {
  if (request.url !== '/sign') return serve(request, response);
  let body = '';
  for await (const chunk of request) body += chunk;
  const { header, claims, forged } = JSON.parse(body);
  const text = new TextEncoder().encode(JSON.stringify(claims));
  const signer = new CompactSign(text).setProtectedHeader({ alg: 'RS256', kid: 'own', ...header });
  response.end(await signer.sign((forged ? foreign : own).privateKey));
});

console.log(JSON.stringify({ issuer }));
process.stdin.resume();
process.stdin.on('end', () => process.exit());
