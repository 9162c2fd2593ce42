"use strict";
// Strategy of the older generation: contract chapter 05 §7, column A.

const CACHE = "sample-legacy-1";
const PRECACHE = ["/dashboard.html", "/index.html", "/dashboard.css", "/dashboard.js", "/manifest.json"];

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
  if (new URL(request.url).pathname.endsWith(".php")) {
    event.respondWith(fetch(request).catch(offline));
  } else {
    event.respondWith(cacheFirst(request));
  }
});

self.addEventListener("message", (event) => {
  if (event.data === "SKIP_WAITING" || event.data?.type === "SKIP_WAITING") self.skipWaiting();
});

const offline = () => Response.json({ error: 1, message: "Offline - Cannot reach server" });

async function cacheFirst(request) {
  const kept = await caches.match(request);
  if (kept) return kept;
  try {
    const answer = await fetch(request);
    if (request.method === "GET" && answer.status === 200 && answer.type === "basic") {
      const cache = await caches.open(CACHE);
      await cache.put(request, answer.clone());
    }
    return answer;
  } catch (error) {
    if (request.mode === "navigate") return caches.match("/index.html");
    throw error;
  }
}
