// The library of the page: Preact with htm, one file, no build step.
export {
  html, render, h, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useReducer, createContext,
  useContext, useErrorBoundary, Component,
} from "../vendor/htm-preact.js";
