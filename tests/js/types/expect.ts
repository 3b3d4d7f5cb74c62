// Types that compile only where two types are the same, not merely assignable.

import type { FunctionArgs, FunctionReference, FunctionReturnType } from "convex/server";

export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

export type Expect<Claims extends true[]> = Claims;

type AnyFunction = FunctionReference<any, any>;

export type Returns<F extends AnyFunction, R> = Equal<FunctionReturnType<F>, R>;

export type Takes<F extends AnyFunction, A> = Equal<FunctionArgs<F>, A>;
