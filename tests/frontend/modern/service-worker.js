"use strict";
// Strategies of the newer generations: contract chapter 05 §7, column B, C.

const CACHE = "sample-modern-1";
const PRECACHE = [
  "/dashboard.php",
  "/index.html",
  "/dashboard.css",
  "/dashboard.js",
  "/sms-functions.js",
  "/manifest.json",
  "/assets/fonts/BYekan+.ttf",
  "/assets/icons/icon-192x192.png",
  "/assets/icons/icon-512x512.png",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(PRECACHE)));
});

self.addEventListener("activate", (event) => {
  const forget = async () => {
    const others = (await caches.keys()).filter((name) => name !== CACHE);
    await Promise.all(others.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(forget());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { pathname } = new URL(request.url);
  if (pathname.includes("/api/")) return;
  if (pathname.endsWith(".php")) event.respondWith(page(request, pathname));
  else if (/\.(js|css)$/.test(pathname)) event.respondWith(networkFirst(request));
  else event.respondWith(cacheFirst(request));
});

self.addEventListener("message", (event) => {
  if (event.data === "SKIP_WAITING" || event.data?.type === "SKIP_WAITING") self.skipWaiting();
});

self.addEventListener("push", (event) => {
  let payload = {};
  try {
    payload = event.data.json();
  } catch {
    payload = { body: event.data?.text() };
  }
  event.waitUntil(self.registration.showNotification(payload.title || "Sample panel", {
    body: payload.body || "Something new",
    icon: payload.icon || "/assets/icons/icon-192x192.png",
    badge: payload.badge || "/assets/icons/icon-72x72.png",
    tag: payload.type || "sample",
    data: payload.data || {},
  }));
});

/** Also a navigation; given options, its mode becomes same-origin on the way. */
async function page(request, pathname) {
  try {
    return await fetch(request, { credentials: "same-origin" });
  } catch {
    const kept = pathname === "/dashboard.php" && (await caches.match(pathname));
    return kept || Response.json({ error: 1, message: "Offline - Cannot reach server" });
  }
}

async function networkFirst(request) {
  try {
    const answer = await fetch(request);
    await keep(request, answer);
    return answer;
  } catch (error) {
    const kept = await caches.match(request);
    if (kept) return kept;
    throw error;
  }
}

async function cacheFirst(request) {
  const kept = await caches.match(request);
  if (kept) return kept;
  try {
    const answer = await fetch(request);
    await keep(request, answer);
    return answer;
  } catch (error) {
    if (request.mode === "navigate") return caches.match("/index.html");
    throw error;
  }
}

async function keep(request, answer) {
  if (request.method !== "GET" || answer.status !== 200) return;
  const cache = await caches.open(CACHE);
  await cache.put(request, answer.clone());
}
