// What the SDKs give back or throw, as plain JSON.
export const plainAuth = auth => {
  if (!auth) return null;
  const { debug, getToken, has, redirectToSignIn, redirectToSignUp, ...rest } = auth;
  return rest;
};

export const plainState = state => {
  const headers = {};
  state.headers.forEach((value, name) => { if (name !== 'set-cookie') headers[name] = value; });
  return {
    status: state.status,
    reason: state.reason,
    message: state.message,
    tokenType: state.tokenType,
    isAuthenticated: state.isAuthenticated,
    headers,
    setCookie: state.headers.getSetCookie(),
    auth: plainAuth(state.toAuth()),
  };
};

export const plainError = error => ({
  name: error.constructor.name,
  message: error.message,
  status: error.status,
  reason: error.reason,
  code: error.code,
  traceId: error.clerkTraceId,
  retryAfter: error.retryAfter,
  errors: error.errors,
});
